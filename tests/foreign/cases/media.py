"""Documents, pictures, sound and film; every output file is compared byte for byte."""

from pathlib import Path

from inputs import prose
from table import case

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"


@case("ghostscript", programs="gs", quick=True)
def _(t):
    """gs: a generated PostScript document to PNG, PDF and text, and the PDF rendered again"""
    gs = ("gs", "-q", "-dBATCH", "-dNOPAUSE", "-dSAFER", "-r72")
    t.run(*gs, "-sDEVICE=png16m", "-sOutputFile=p%d.png", PROGRAMS / "pages.ps")
    t.run(
        *gs,
        "-sDEVICE=pdfwrite",
        "-sDocumentUUID=0",
        "-dCompressPages=true",
        "-sOutputFile=d.pdf",
        PROGRAMS / "pages.ps",
    )
    t.run(*gs, "-sDEVICE=txtwrite", "-sOutputFile=-", "d.pdf")
    t.run(*gs, "-sDEVICE=pgmraw", "-dNumRenderingThreads=2", "-dMaxBitmap=10000", "-sOutputFile=q%d.pgm", "d.pdf")
    t.shell("sha256sum *.png *.pgm; sed '/Date>\\|Date(\\|\\/ID/d' -i d.pdf", show="out")


@case("ghostscript-soak", programs="gs", timeout=900)
def _(t):
    """gs at 300 dots an inch through six devices, and vim's and its own PostScript files"""
    for device in ("png16m", "bmpmono", "jpeg", "pbmraw", "psdcmyk", "ps2write"):
        t.run(
            "gs",
            "-q",
            "-dBATCH",
            "-dNOPAUSE",
            "-r300",
            f"-sDEVICE={device}",
            "-sOutputFile=p-%d." + device,
            PROGRAMS / "pages.ps",
        )
    t.shell("sha256sum p-*.png16m p-*.bmpmono p-*.jpeg p-*.pbmraw")
    t.shell(
        """
        find /usr/share /usr/lib -name '*.ps' -o -name '*.eps' -o -name '*.pdf' -type f |
            LC_ALL=C sort | head -60 | while read -r f; do
            timeout 60 gs -q -dBATCH -dNOPAUSE -r40 -sDEVICE=pgmraw -sOutputFile=- "$f" < /dev/null 2>&1 | sha256sum
        done""",
        timeout=900,
    )


@case("ffmpeg", programs="ffmpeg", quick=True)
def _(t):
    """ffmpeg: two seconds of synthetic film and sound encoded by several codecs, decoded, filtered"""
    film(t, 2, ("mpeg4", "libx264", "ffv1"), 160)


@case("ffmpeg-soak", programs="ffmpeg", timeout=900)
def _(t):
    """the same, longer and larger, with two threads and more codecs"""
    film(t, 5, ("mpeg4", "libx264", "ffv1", "libvpx", "huffyuv", "snow"), 640)


def film(t, seconds, codecs, width):
    bare = ("ffmpeg", "-v", "error", "-nostdin", "-y")
    exact = (
        "-fflags",
        "+bitexact",
        "-flags:v",
        "+bitexact",
        "-flags:a",
        "+bitexact",
        "-threads",
        "2",
        "-map_metadata",
        "-1",
    )
    picture = ("-f", "lavfi", "-i", f"testsrc2=duration={seconds}:size={width}x{width * 3 // 4}:rate=25")
    sound = ("-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}")
    for codec in codecs:
        t.run(*bare, *picture, *sound, *exact, "-c:v", codec, "-c:a", "mp2", "-strict", "-2", f"{codec}.mkv")
        t.run(*bare, "-i", f"{codec}.mkv", "-threads", "2", "-f", "framemd5", "-")
    t.digest(*(f"{codec}.mkv" for codec in codecs if codec != "libx264"))
    t.run(
        *bare,
        "-i",
        "ffv1.mkv",
        "-vf",
        "scale=iw/2:-2,hue=s=0,edgedetect,split[a][b];[b]hflip[c];[a][c]hstack",
        *exact,
        "-af",
        "atempo=1.5,aecho",
        "-c:v",
        "rawvideo",
        "-c:a",
        "pcm_s16le",
        "f.avi",
    )
    t.digest("f.avi")


@case("imagemagick", programs="convert-im6.q16", quick=True)
def _(t):
    """ImageMagick: generated pictures blurred, turned, distorted, quantised, written in several formats"""
    magick = ("convert-im6.q16", "-limit", "thread", "2")
    strip = ("-strip", "-define", "png:exclude-chunks=date,time")
    t.run(
        *magick,
        "-size",
        "320x240",
        "plasma:red-blue",
        "-seed",
        "7",
        "-size",
        "320x240",
        "gradient:",
        "-compose",
        "multiply",
        "-composite",
        *strip,
        "-seed",
        "1",
        "g.png",
        show="none",
    )
    t.run(
        *magick,
        "-size",
        "300x200",
        "gradient:red-green",
        "-swirl",
        "120",
        "-blur",
        "0x3",
        "-rotate",
        "17",
        *strip,
        "a.png",
    )
    t.run(
        *magick,
        "a.png",
        "(",
        "+clone",
        "-flip",
        "-negate",
        ")",
        "-append",
        "-resize",
        "50%",
        "-colors",
        "16",
        *strip,
        "b.gif",
    )
    t.run(*magick, "a.png", "-distort", "Arc", "60", "-emboss", "2", "-quality", "80", *strip, "c.jpg")
    t.run(*magick, "a.png", "-fft", "+depth", "+adjoin", "f.miff", show="none", want=None)
    t.run(*magick, "a.png", "-crop", "64x64", "+repage", "+append", *strip, "d.tiff")
    t.run(*magick, "a.png", "-format", "%w %h %[mean] %[kurtosis] %#\n", "info:")
    t.digest("a.png", "b.gif", "c.jpg")
    t.run(*magick, "d.tiff", "-format", "%w %h %#\n", "info:")


@case("graphviz", programs="dot neato", quick=True)
def _(t):
    """graphviz: a generated graph laid out by dot and neato"""
    edges = "".join(f"n{i} -> n{i * 7 % 60};n{i} -> n{(i * 13 + 5) % 60};" for i in range(60))
    graph = f"digraph g {{ node [shape=record]; subgraph cluster_a {{ n1; n2; n3 }} {edges} }}"
    t.run("dot", "-Tplain", stdin=graph)
    t.run("dot", "-Tsvg", stdin=graph)
    t.run("neato", "-Tplain", "-Gstart=7", stdin=graph)


@case("pdf-tools", programs="gs qpdf pdftotext pdftoppm", quick=True)
def _(t):
    """qpdf and poppler over a generated PDF: linearise, split, text, pictures, fonts"""
    t.run("gs", "-q", "-dBATCH", "-dNOPAUSE", "-sDEVICE=pdfwrite", "-sOutputFile=d.pdf", PROGRAMS / "pages.ps")
    t.shell(
        "qpdf --linearize --deterministic-id --object-streams=generate d.pdf l.pdf; qpdf --check l.pdf",
        show="out",
    )
    t.shell(
        "qpdf --qdf d.pdf q.pdf; qpdf d.pdf --pages . 1,2 -- s.pdf; qpdf --json s.pdf | grep -c obj; "
        "qpdf --show-npages d.pdf",
    )
    t.shell(
        "pdftotext -layout l.pdf - ; pdffonts l.pdf; pdftoppm -r 50 -png l.pdf p; sha256sum p*.png; "
        "pdftocairo -svg -f 1 -l 1 d.pdf o.svg; wc -c < o.svg",
    )


@case("groff", programs="groff", quick=True)
def _(t):
    """groff: a long generated manual page with tables, to text and PostScript"""
    table = ".TS\nbox; l c r.\n" + "".join(f"{i}\tword {i}\t{i * i}\n" for i in range(40)) + ".TE\n"
    t.write(
        "m.man",
        "'\\\" t\n.TH TEST 1 2001-01-01\n"
        + "".join(f".SH PART {i}\n.TP\n.B word{i}\n{prose(20, i)}{table}" for i in range(60)),
    )
    t.run("groff", "-t", "-man", "-Tutf8", "m.man")
    t.shell(
        "groff -t -man -Tps m.man | sed '/^%%CreationDate/d' | sha1sum; "
        "groff -t -man -Tdvi m.man | tail -c +50 | sha1sum",
    )
