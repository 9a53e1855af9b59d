"""RIDE and MCGSM: Theis & Bethge (2015). Read README.md first, then mixture.py and mcgsm.py."""
