"""What the customers of the made-up bank live out: every story by name, and which share of them lives it."""

from streams.sources.stories_of_browsing import browses_and_buys, browses_only, browses_the_channel
from streams.sources.stories_of_money import (
    climbs_a_tier,
    dormant,
    idle_money,
    inflow_leaves,
    inflow_stays,
    merchant_settlement,
    salary_and_spend,
    vip_leaves,
)
from streams.sources.stories_of_trouble import broken, late, out_of_order, repeated
from streams.sources.story import Story

# The shortest run in which every story comes to its end.
MIN_DAYS = 14

# Shares of the customers, in hundredths; the first customers live out one of each.
STORIES: dict[str, tuple[Story, int]] = {
    "salary-and-spend": (salary_and_spend, 28),
    "inflow-leaves": (inflow_leaves, 8),
    "inflow-stays": (inflow_stays, 8),
    "browses-only": (browses_only, 8),
    "browses-and-buys": (browses_and_buys, 6),
    "browses-the-channel": (browses_the_channel, 3),
    "merchant-settlement": (merchant_settlement, 8),
    "climbs-a-tier": (climbs_a_tier, 6),
    "vip-leaves": (vip_leaves, 4),
    "dormant": (dormant, 5),
    "idle-money": (idle_money, 4),
    "out-of-order": (out_of_order, 3),
    "late": (late, 3),
    "repeated": (repeated, 3),
    "broken": (broken, 3),
}
