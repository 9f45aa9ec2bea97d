"""Where the public names are at home. Made of `fastimap/sasl/__init__.py` by tools/generate_methods.py."""

HOMES = {
    "Anonymous": ".anonymous",
    "CramMD5": ".cram_md5",
    "External": ".external",
    "GSSAPI": ".gssapi",
    "Login": ".login",
    "OAuthBearer": ".oauthbearer",
    "Plain": ".plain",
    "MAX_ITERATIONS": ".scram",
    "MIN_ITERATIONS": ".scram",
    "ScramSHA1": ".scram",
    "ScramSHA1Plus": ".scram",
    "ScramSHA256": ".scram",
    "ScramSHA256Plus": ".scram",
    "ScramSHA512": ".scram",
    "ScramSHA512Plus": ".scram",
    "XOAuth2": ".xoauth2",
}
