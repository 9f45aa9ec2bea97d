"""Other people's tests and programs, unchanged, on top of fastimap."""
