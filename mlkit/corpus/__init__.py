"""Text to vocabulary and encoded word ids, in parallel and in bounded memory."""
