"""A board of robustness: ten tables, five sets of signals and five of texts, six models each."""
