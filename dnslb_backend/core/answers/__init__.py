"""What is answered: the snapshot, and what follows from it."""
