"""`tagger doctor`: does a deployment, live or at rest, hold what it promises (docs/reliability.md, "Promised")?

`examine` holds four things against each other, each read at an end that a transaction has made final:

- fates: counts of ingest, of decide, and of the records themselves, by input partition (`fates`);
- the changelog against the journal: customers of a sample folded again (`journal`, `refolding`);
- tags: every revision once and in order; those of the sample as the refold gives them (`tags`);
- Redis against the changelog: profiles, open tags, rules' sets, what is stale or missing (`view`).

Nothing is written anywhere, no group is joined, and no worker notices.
"""
