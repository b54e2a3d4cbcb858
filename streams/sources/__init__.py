"""Recorded and made-up input: Berka, Taobao, JSON lines, and a bank whose customers live out stories."""
