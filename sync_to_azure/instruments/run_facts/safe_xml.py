"""XML that somebody else wrote, into a tree, without trusting it.

The standard library's expat, with document type declarations refused: entities can be declared nowhere else, so
neither entity bombs nor external entities exist. That is what defusedxml (0.7.1 of 2021, no release since) does as
well, and it is all that is needed here; the limits on size and depth would be ours in either case.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from sync_to_azure.instruments.run_facts.text import MalformedFile, decode

MOST_BYTES = 4 * 2**20
"""The largest RunInfo.xml seen has 160 KB (a NovaSeq X 25B with its 6,272 tiles)."""

_MOST_DEPTH = 50


def parse(content: bytes) -> Element:
    """The root element. Raises Problem for what is empty, too large, malformed, or declares a document type."""
    if not content.strip(b"\0 \t\r\n\xff\xfe\xef\xbb\xbf"):
        raise MalformedFile("is empty")
    if len(content) > MOST_BYTES:
        raise MalformedFile(f"is larger than {MOST_BYTES // 2**20} MiB")
    builder = TreeBuilder()
    # Whatever the file declares: files that claim UTF-16 and are UTF-8 occur.
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MOST_DEPTH:
            raise MalformedFile(f"nests more than {_MOST_DEPTH} elements")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def document_type(*_: object) -> None:
        raise MalformedFile("declares a document type, which no instrument does")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = document_type
    try:
        parser.Parse(decode(content).encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise MalformedFile(f"is no well-formed XML: {error}") from error
    return builder.close()


def texts(root: Element) -> dict[str, str]:
    """The text of every element that has one, by its name in lower case without a namespace; of several the first."""
    found: dict[str, str] = {}
    for element in root.iter():
        text = (element.text or "").strip()
        if text:
            found.setdefault(local_name(element), text)
    return found


def local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2].lower()
