"""What a user asks for: one function and one result record a task, for any model that can do it."""
