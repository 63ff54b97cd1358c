"""One flat script for each stage: python -m llmlib.recipes.pretrain, …"""
