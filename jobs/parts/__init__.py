"""Parts of a job: inputs explained, what rows and errors say of them, what a summary adds up."""
