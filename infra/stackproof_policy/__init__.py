"""What every deployment keeps: the rules of `policy/rules.toml`, judged by what the program asks for.

`pack.py` gives them to Pulumi's engine, `offline.py` runs a program without engine and cloud and judges what it
asked for. Both use the same checks, one file of them a kind of resource in `checks/`.
"""
