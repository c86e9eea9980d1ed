"""The language for editors: its words, what each stretch of a text is, and the Pygments and TextMate forms of both."""
