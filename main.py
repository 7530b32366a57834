"""python main.py --config experiments/food10.py: `foodjax/cli.py` lists what it can do."""

from foodjax.__main__ import start

if __name__ == "__main__":
    start()
