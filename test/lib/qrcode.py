"""Reads QR codes with libzbar, as a phone would: from PNG files and from what a terminal shows."""
import ctypes
import ctypes.util
import re
import struct
import zlib


class ReaderMissing(Exception):
    """There is no libzbar on this machine."""


def _library():
    name = ctypes.util.find_library('zbar')
    if not name:
        raise ReaderMissing('libzbar0 is not installed')
    zbar = ctypes.CDLL(name)
    for function in ('zbar_image_scanner_create', 'zbar_image_create', 'zbar_image_first_symbol'):
        getattr(zbar, function).restype = ctypes.c_void_p
    zbar.zbar_symbol_get_data.restype = ctypes.c_char_p
    return zbar


def read(pixels, width, height):
    """The text of the one code in `pixels`, bytes of 0 (black) to 255 (white)."""
    zbar = _library()
    pointer = ctypes.c_void_p
    scanner, image = pointer(zbar.zbar_image_scanner_create()), pointer(zbar.zbar_image_create())
    zbar.zbar_image_scanner_set_config(scanner, 0, 0, 1)
    zbar.zbar_image_set_format(image, ctypes.c_ulong(int.from_bytes(b'Y800', 'little')))
    zbar.zbar_image_set_size(image, width, height)
    zbar.zbar_image_set_data(image, pixels, ctypes.c_ulong(len(pixels)), None)
    found = zbar.zbar_scan_image(scanner, image)
    assert found == 1, f'{found} codes in the picture'
    text = zbar.zbar_symbol_get_data(pointer(zbar.zbar_image_first_symbol(image))).decode()
    zbar.zbar_image_destroy(image)
    zbar.zbar_image_scanner_destroy(scanner)
    return text


def png_pixels(data):
    """(pixels, width, height) of a PNG of one grey bit a pixel without filters, every chunk's CRC
    checked."""
    assert data[:8] == b'\x89PNG\r\n\x1a\n'
    at, chunks = 8, []
    while at < len(data):
        length, kind = struct.unpack('>I4s', data[at:at + 8])
        body, (crc,) = data[at + 8:at + 8 + length], struct.unpack('>I', data[at + 8 + length:
                                                                             at + 12 + length])
        assert zlib.crc32(kind + body) == crc, kind
        chunks.append((kind, body))
        at += 12 + length
    assert [kind for kind, _ in chunks] == [b'IHDR', b'IDAT', b'IEND'], chunks
    width, height, depth, colour = struct.unpack('>IIBB', chunks[0][1][:10])
    assert (depth, colour) == (1, 0)
    lines, stride = zlib.decompress(chunks[1][1]), width // 8 + 1
    assert len(lines) == stride * height and not any(lines[::stride])
    bits = ''.join(f'{byte:08b}' for i, byte in enumerate(lines) if i % stride)
    return bytes(255 * int(bit) for bit in bits), width, height


def terminal_pixels(text, scale=8):
    """(pixels, width, height) of half blocks: a full block is two light modules."""
    halves = {'█': (255, 255), '▀': (255, 0), '▄': (0, 255), ' ': (0, 0)}
    lines = [re.sub('\x1b\\[[0-9;]*m', '', line) for line in text.splitlines()
             if line.startswith('\x1b[97;40m')]
    rows = []
    for line in lines:
        line = line.rstrip('\r')
        rows += [[halves[c][half] for c in line] for half in (0, 1)]
    pixels = b''.join(bytes(v for v in row for _ in range(scale)) * scale for row in rows)
    return pixels, len(rows[0]) * scale, len(rows) * scale
