"""What `filterd doctor` looks at: one function a question, each saying what is wrong and what to do about it."""
