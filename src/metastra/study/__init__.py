"""The study file: what was promised before anybody looked, frozen and with a digest."""
