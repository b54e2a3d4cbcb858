"""Packs for the laws: every verb and kind, with windows short enough for journals of a few days."""

RICH = """
pack: p
settings: {kept: 0.5}
features:
  avg: {average_balance: assets, over: 3d}
  avg_quarter: {average_balance: assets, over: quarter}
  avg_closed: {average_balance: assets, over: quarter, previous: true}
  lowest: {low: assets, over: 3d}
  spent: {sum: amount, of: transactions, where: 'direction == "debit"', over: 2d}
  spent_month: {sum: amount, of: transactions, where: 'direction == "debit"', over: month}
  spent_closed: {sum: amount, of: transactions, where: 'direction == "debit"', over: month, previous: true}
  busy: {count: app_events, over: 40m}
  half_busy: {expr: busy / 2}
  views: {top: product_id, of: app_events, where: 'action == "view"', over: 2d}
  quiet: {days_since: transactions}
  tier: {level: tiers}
  browsed: {active: browsing}
rules:
  tiers: {by: avg, levels: {low: 500, mid: 1500, high: 4000}, leave_below: 90%}
  slow-tiers: {by: avg_quarter, levels: {none: otherwise, some: 100}, for: 6h, silent: [none], expires: 2d}
  closed-tiers: {by: avg_closed, levels: {some: 100, more: 1000}}
  browsing: {when: views.count >= 2, for: 30m, until: spent > 0, expires: 1d, cooldown: 2d, refresh: views.count}
  busy-app: {when: half_busy >= 1, cooldown: 1h}
  big-in:
    after: {event: transactions, where: 'direction == "credit" and amount >= 1000'}
    within: 2d
    when: retained < kept
    for: 1h
    expires: 1d
    cooldown: 1d
    converts: {event: transactions, where: 'account_type == "wealth" and direction == "credit"'}
  low-water: {when: lowest < 0 and spent_month > spent_closed, expires: 3d, converts: {when: lowest >= 0}}
  dormant: {when: quiet >= 2}
  mondays: {when: today.weekday == 1}
  rich: {when: tier.rank >= 1 and not browsed, refresh: tier.name}
  worker: {when: 'occupation == "o1"', valid: {from: 2026-03-30 01:00, to: 2026-03-31}, mode: shadow}
"""

# Thresholds and definitions changed, `for` where there was none, a rule gone, one become another kind.
CHANGED = """
pack: p
settings: {kept: 0.8}
features:
  avg: {average_balance: assets, over: 2d}
  lowest: {low: assets, over: 3d}
  spent: {sum: amount, of: transactions, where: 'direction == "debit"', over: 3d}
  busy: {count: app_events, over: 40m}
  busier: {count: app_events, over: 1h}
  views: {top: product_id, of: app_events, where: 'action == "view"', over: 2d}
  quiet: {days_since: app_events}
  tier: {level: tiers}
rules:
  tiers: {by: avg, levels: {mid: 1500, high: 3000}}
  slow-tiers: {when: avg > 100, for: 6h}
  browsing: {when: views.count >= 1, for: 90m, expires: 1d}
  busy-app: {when: busier >= 2 or busy >= 3, for: 5m, cooldown: 2h}
  big-in: {when: spent > 500}
  mondays: {after: {event: app_events}, within: 6h, when: quiet >= 0, for: 10m}
  dormant: {when: quiet >= 1}
  rich: {when: tier.rank >= 1}
"""

WITHOUT = """
pack: p
features:
  busy: {count: app_events, over: 40m}
rules:
  busy-app: {when: busy >= 1, for: 5m}
"""
