"""Syntax highlighting and snippets for editors: the vocabulary, and its Pygments and TextMate forms."""
