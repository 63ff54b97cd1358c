"""From a model that continues text to one that people prefer: fine-tuning, rewards, preferences."""
