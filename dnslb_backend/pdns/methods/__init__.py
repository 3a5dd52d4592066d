"""The methods of the remote backend."""
