"""Language models behind an address: paid, metered, cached, and never asked the same thing twice.

registry   which endpoints a catalog knows: address, model, prices, limits; no secrets
account    what was asked and paid: reservations before a request, answers after it, budgets that cannot be overshot
wire       one request over HTTP, as OpenAI-compatible servers and Anthropic speak it
ask        many requests: from the cache, at a pace, in parallel, retried, stopped by the budget
"""
