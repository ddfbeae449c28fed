"""The pass: from a completed run at the source to a proved one in the lake, and the commands around it."""
