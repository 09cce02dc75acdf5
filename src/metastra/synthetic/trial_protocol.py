"""The protocol of the played trial, after the registered design of NCT07392567."""

from __future__ import annotations

__all__ = ["PROTOCOL"]

PROTOCOL = """\
# Played after NCT07392567; nobody took part.
[study]
name = "NCT07392567"
title = "Prospective validation of a locked model of liver metastasis after colorectal surgery"
registration = "NCT07392567"
sponsor = "trial office"
planned_n = 160
simulated = true                # times are stated with --at; every entry and the report say so

[accrual]
first_day = 2026-01-30
last_day = 2027-01-30

[seal]
custodian = "data custodian of the trial office"
public_key = "custodian.pem.pub"

[endpoint]
name = "liver metastasis"
competing = "death without liver metastasis"
horizon = 24
time_unit = "months"
grace = 3
visits = [6, 12, 18, 24]
codes = { "0" = "censored", "1" = "event", "2" = "competing" }

[[centre]]
name = "north"
planned_n = 64
[[centre]]
name = "harbour"
planned_n = 56
[[centre]]
name = "south"
planned_n = 40

[[criterion]]
name = "age"
column = "age"
minimum = 18
maximum = 75
[[criterion]]
name = "stage"
column = "stage"
one_of = ["I", "II", "III"]
[[criterion]]
name = "complete resection"
column = "resection"
one_of = ["R0"]
[[criterion]]
name = "consent"
column = "consent"
one_of = ["yes"]

[analysis]
measure = "auc"                 # the one primary quantity
bound = 0.60                    # H0: the AUC at 24 months is at most this
alpha = 0.025                   # one-sided, over all looks
not_before = 2029-01-30
events = 16                     # planned; the information of the last look
dating = "grace"                # a scan up to 27 months counts at 24
flagged = "include"             # outcomes dated before their prediction; the other way is shown
secondary = ["oe_ratio", "slope", "ipa"]
subgroups = ["sex"]
bootstrap = 1000
seed = 20260130
[[analysis.interim]]
name = "interim look"
not_before = 2028-07-31

[anchors]
every_days = 120

[design]
risk = 0.10
auc = 0.80
competing = 0.03
lost = 0.05
replicates = 200
"""
"""The protocol of the played trial; `init --bundle` adds the digest of the model."""
