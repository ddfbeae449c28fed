"""How the package is built and what it needs; the tools' settings are in pyproject.toml."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).resolve().parent


def version() -> str:
    """The version as written in the package, read without importing it (its dependencies may be missing)."""
    text = (HERE / "sync_to_azure" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit('sync_to_azure/__init__.py holds no line __version__ = "…"')
    return found.group(1)


FAST = ["awscrt>=0.24.1,<1"]
REPORT = ["interop>=1.7,<2", "jinja2>=3.1.4,<4", "pygal>=3.1,<4"]
CATALOGUE = ["psycopg[binary]>=3.2,<4"]
PARQUET = ["pyarrow>=17,<28"]
TEST = [
    *CATALOGUE,
    *FAST,
    *PARQUET,
    *REPORT,
    "aiosmtpd>=1.4.6,<2",
    "hypothesis>=6.100,<7",
    "pytest>=8.2,<10",
    "pytest-timeout>=2.3,<3",
    "pytest-xdist>=3.6,<4",
    "selenium>=4.25,<5",
]
LINT = [
    "black>=25,<27",
    "flake8>=7.1,<8",
    "import-linter>=2.17,<3",
    "mypy>=1.13,<3",
]

setup(
    name="sync_to_azure",
    version=version(),
    description="Upload completed instrument runs to Azure Blob Storage, and prove that every byte arrived",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["sync_to_azure", "sync_to_azure.*"]),
    package_data={"sync_to_azure.transfer.report": ["templates/*"]},
    python_requires=">=3.11",
    install_requires=[
        "azure-identity>=1.19,<2",
        "azure-storage-blob>=12.31,<13",
        "certifi>=2024.2.2",
        "click>=8.1.7,<9",
        "coloredlogs>=15.0.1,<16",
        "prometheus-client>=0.21,<1",
        "urllib3>=2.2,<3",
    ],
    extras_require={
        "catalogue": CATALOGUE,
        "fast": FAST,
        "parquet": PARQUET,
        "report": REPORT,
        "test": TEST,
        "lint": LINT,
        "dev": TEST + LINT + ["build>=1.2,<2", "tox>=4.23,<5"],
    },
    entry_points={"console_scripts": ["sync_to_azure = sync_to_azure.__main__:main"]},
)
