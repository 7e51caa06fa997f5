# SPDX-License-Identifier: MIT


def hexdump(data, width=16):
    """Bytes as lines of their place, in hex and as ASCII.

        >>> print(flowcarve.hexdump(b"GET / HTTP/1.1"))
        00000000  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31        |GET / HTTP/1.1|
    """
    data = bytes(memoryview(data))
    lines = []
    for at in range(0, len(data), width):
        row = data[at:at + width]
        hexes = ["%02x" % b for b in row] + ["  "] * (width - len(row))
        half = (width + 1) // 2
        shown = "".join(chr(b) if 32 <= b < 127 else "." for b in row)
        lines.append("%08x  %s  %s  |%s|" % (at, " ".join(hexes[:half]), " ".join(hexes[half:]), shown))
    return "\n".join(lines)
