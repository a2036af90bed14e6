"""Records how SQLAlchemy reads database URLs: what the test `urls` holds ours to.

    python3 -m venv venv && venv/bin/pip install SQLAlchemy==2.1.9 PyMySQL==1.2.4 psycopg2-binary==2.9.13
    venv/bin/python crates/store/tests/data/urls/record.py > crates/store/tests/data/urls/recorded.json

The versions are those of upstream's releases 21.0.1 and 23.0.0 in xtask/src/upstream.
"""

import json
import sys
import warnings

import sqlalchemy
from sqlalchemy.engine import make_url

CREDENTIALS = [
    "",
    "u@",
    "u:@",
    ":p@",
    "@",
    "u:p@",
    "u:p%40ss@",
    "u:p%2Fa%3Fb%23c@",
    "u:p/a@",
    "u:p?a@",
    "u:p#a@",
    "u:p/a?b#c=d&e@",
    "u:p:q@",
    "u:p@q@",
    "u:p@q:r@",
    "u@realm:p@",
    "u@realm@",
    "u%40realm:p@",
    "u%3Ax:p@",
    "u:p+q@",
    "u:p%2Bq@",
    "u:p%zz@",
    "u:p%@",
    "u:p%C3%A9@",
    "u:pé@",
    "u:p q@",
    "u:[p]@",
    "u:p%25@",
    "u:{p}@",
    "u:$p@",
]

HOSTS = [
    "",
    "h",
    "h:3306",
    "h:",
    "h:port",
    "h:-1",
    "h:99999",
    ":3306",
    "[::1]",
    "[::1]:3306",
    "[fe80::1%25eth0]:3306",
    "[fe80::1%eth0]",
    "::1",
    "::1:3306",
    "[::1",
    "db.example.org",
    "10.0.0.1:5432",
    "h1,h2",
    "h1:1,h2:2",
]

TAILS = [
    "",
    "/",
    "/m",
    "/m/n",
    "/m%20n",
    "/m#n",
    "?charset=utf8mb4",
    "/?charset=utf8",
    "/m?",
    "/m?charset=utf8&charset=utf8mb4",
    "/m?charset",
    "/m?charset=",
    "/m?a=b?c=d",
    "/m?unix_socket=/run/mysqld/mysqld.sock",
    "/m?unix_socket=%2Frun%2Fmysqld%2Fmysqld.sock&charset=utf8",
]

MYSQL = [
    "mysql://u:p@h/m",
    "mysql+pymysql://u:p@h/m?charset=utf8",
    "mysql+mysqldb://u:p@h/m",
    "mysql+mysqlconnector://u:p@h/m",
    "mariadb://u:p@h/m",
    "mariadb+pymysql://u:p@h/m",
    "mysql+pymysql:///m?unix_socket=/run/mysqld/mysqld.sock",
    "mysql+pymysql://u@localhost/m?unix_socket=/run/mysqld/mysqld.sock",
    "mysql+pymysql://u:p@h/m?host=other&port=3307",
    "mysql+pymysql://u:p@h/m?ssl_ca=/ca.pem",
    "mysql+pymysql://u:p@h/m?ssl_ca=/ca.pem&ssl_check_hostname=false",
    "mysql+pymysql://u:p@h/m?ssl_ca=/ca.pem&ssl_check_hostname=true",
    "mysql+pymysql://u:p@h/m?ssl_ca=/ca.pem&ssl_cert=/c.pem&ssl_key=/k.pem",
    "mysql+pymysql://u:p@h/m?ssl_ca=/ca%20file.pem",
    "mysql+pymysql://u:p@h/m?ssl_verify_cert=true",
    "mysql+pymysql://u:p@h/m?ssl_verify_identity=true&ssl_ca=/ca.pem",
    "mysql+pymysql://u:p@h/m?connect_timeout=5&read_timeout=30&write_timeout=30",
    "mysql+pymysql://u:p@h/m?init_command=SET%20x%3D1",
    "mysql+pymysql://u:p@h/m?read_default_file=/etc/my.cnf",
    "MYSQL://u:p@h/m",
    "mysql+pymysql:/u:p@h/m",
    "mysql+pymysql//u:p@h/m",
    "mysql-x://u:p@h/m",
    " mysql://u:p@h/m",
    "mysql://u:p@h/m ",
    "mysql://u:p@h/m\nmore",
    "u:p@h/m",
    "",
]

POSTGRESQL = [
    "postgresql://u:p@h/m",
    "postgres://u:p@h/m",
    "postgresql+psycopg2://u:p@h:5432/m",
    "postgresql+psycopg://u:p@h/m",
    "postgresql+pg8000://u:p@h/m",
    "postgresql+psycopg2://u:p@[::1]:5432/m",
    "postgresql+psycopg2://u:p@/m?host=/run/postgresql",
    "postgresql+psycopg2:///m?host=/run/postgresql",
    "postgresql+psycopg2:///m?host=/run/postgresql&port=5433",
    "postgresql+psycopg2://u:p@h/m?host=other",
    "postgresql+psycopg2://u:p@h/m?host=other:6543",
    "postgresql+psycopg2://u:p@/m?host=h1:1&host=h2:2",
    "postgresql+psycopg2://u:p@/m?host=h1,h2&port=1,2",
    "postgresql+psycopg2://u:p@h/m?sslmode=verify-full&sslrootcert=/ca.pem",
    "postgresql+psycopg2://u:p@h/m?sslmode=require&sslcert=/c.pem&sslkey=/k.pem",
    "postgresql+psycopg2://u:p@h/m?sslmode=disable",
    "postgresql+psycopg2://u:p@h/m?connect_timeout=5&application_name=x",
    "postgresql+psycopg2://u:p@h/m?client_encoding=utf8",
    "postgresql+psycopg2://u:p@h/m?options=-c%20search_path%3Dx",
    "postgresql+psycopg2://u:p@h/m?target_session_attrs=read-write",
    "postgresql+psycopg2://u:p%40%2F@h/m?sslmode=prefer",
    "postgresql+psycopg2://u:p/q@h/m",
    "postgresql+psycopg2://h",
]

SQLITE = [
    "sqlite://",
    "sqlite:///",
    "sqlite:///:memory:",
    "sqlite:////var/lib/magnum/magnum.sqlite",
    "sqlite:///magnum.sqlite",
    "sqlite:///./magnum.sqlite",
    "sqlite:///a/b.sqlite",
    "sqlite+pysqlite:////a/b?timeout=5",
    "sqlite:////a/b%20c.sqlite",
    "sqlite:////a/b c.sqlite",
    "sqlite:////a/b#c.sqlite",
    "sqlite:////a/b@c.sqlite",
    "sqlite:////a/b:c@d.sqlite",
    "sqlite://magnum.sqlite",
    "sqlite://var/lib/magnum.sqlite",
    "sqlite://u:p@/a/b",
    "sqlite:////a/b?mode=ro",
    "sqlite:///file:/a/b?mode=ro&uri=true",
    "sqlite:/a/b",
    "sqlite:///C:/a/b",
]

OTHERS = ["oracle://u:p@h/m", "mssql+pyodbc://u:p@h/m", "nothing://u:p@h/m"]


def urls():
    for credentials in CREDENTIALS:
        for host in ("h", "h:3306", ""):
            yield f"mysql+pymysql://{credentials}{host}/m?charset=utf8"
        yield f"postgresql://{credentials}[::1]:5432/m"
    for host in HOSTS:
        for credentials in ("", "u:p@", "u:p/q@"):
            yield f"mysql+pymysql://{credentials}{host}/m"
    for tail in TAILS:
        for place in ("h", "u:p@h:3306", "u:p?q@[::1]"):
            yield f"mysql+pymysql://{place}{tail}"
    yield from MYSQL
    yield from POSTGRESQL
    yield from SQLITE
    yield from OTHERS


def read(text):
    try:
        url = make_url(text)
    except Exception as error:
        return {"error": type(error).__name__}
    found = {
        "driver": url.drivername,
        "user": url.username,
        "password": url.password,
        "host": url.host,
        "port": url.port,
        "database": url.database,
        "query": {name: list(value) if isinstance(value, tuple) else value for name, value in url.query.items()},
    }
    try:
        dialect = url.get_dialect()()
        positional, named = dialect.create_connect_args(url)
        found["connects"] = {"positional": positional, "named": named}
    except Exception as error:
        found["connects"] = {"error": type(error).__name__}
    return found


def main():
    warnings.simplefilter("ignore")
    # A relative path is made absolute by SQLAlchemy; what that gives depends on where this is run.
    sys.stdout.write('{"recorded_from": "SQLAlchemy %s", "urls": [\n' % sqlalchemy.__version__)
    lines = [json.dumps([text, read(text)], ensure_ascii=False, sort_keys=True) for text in dict.fromkeys(urls())]
    sys.stdout.write(",\n".join(lines) + "\n]}\n")


main()
