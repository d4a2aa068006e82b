"""Who grades answers, and how far each judge agrees with people."""
