"""Tests against real servers, and the code that starts those servers."""
