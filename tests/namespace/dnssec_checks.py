"""stub"""
def dnssec_stage(words, Stage):
    pass
