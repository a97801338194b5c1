"""Plans in quick succession, and slow computers: success and smoothness."""
