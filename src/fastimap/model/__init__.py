"""What is said, as values: messages, responses, sets of numbers, names. Nothing here knows of the wire."""
