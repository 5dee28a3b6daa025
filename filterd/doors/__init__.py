"""Front doors: they turn what a mail system says into Intake or admit calls, and the Gate's answers into replies."""
