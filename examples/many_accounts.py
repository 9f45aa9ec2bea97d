"""Pull all accounts of a server on the workers of a Dask cluster. Run again, it fetches what is new or has failed.

python examples/many_accounts.py imaps://imap.example.org /run/secrets/mail /mnt/mail tcp://scheduler:8786

/run/secrets/mail has a file for each user, named after the user, with the password in its first line. The workers
read it there, and write to /mnt/mail: both have to be theirs too. Without a scheduler's address, the cluster is this
machine. It needs `pip install "fastimap[dask]"`. The same from the shell:
`fastimap pull --accounts accounts.toml /mnt/mail --dask tcp://scheduler:8786`.
"""

import sys
from pathlib import Path

import distributed

from fastimap import Account
from fastimap.archive import FromFile, pull_many


def main(url: str, secrets: str, store: str, *scheduler: str) -> int:
    accounts = {
        file.name: Account.from_url(url, user=file.name, password=FromFile(file))
        for file in sorted(Path(secrets).iterdir())
    }
    failed = []
    with distributed.Client(*scheduler) as dask:
        for number, report in enumerate(pull_many(accounts, store, executor=dask, per_host=10), 1):
            print(f"{number} of {len(accounts)}: {report.account}: {report.added} new of {report.report.found}")
            if not report.complete:
                failed.append(f"{report.account}: {report.error or report.report.stopped}")
    print(*failed, sep="\n", end="\n" if failed else "")
    return 1 if failed else 0


if __name__ == "__main__":  # the workers of this machine import the program
    sys.exit(main(*sys.argv[1:]))
