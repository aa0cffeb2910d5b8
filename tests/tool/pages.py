"""What holds of the data of every page (web/src/data.ts), whatever the trace."""
import base64
import gzip
import re

PLACE = re.compile(r'<script type="application/octet-stream;base64" id="data">([^<]*)</script>')
SITE_COLUMNS = ("node place process allocs bytes frees peak_bytes peak_blocks own_peak left_bytes left_blocks temporary slack growth "
                "reallocs moved life_mean life_sigma same_thread threads oldest pinned verdict lost_bytes").split()
VIEWS = "timeline flame map sizes lifetimes sites strategies leaks threads diff".split()


def data_of(html):
    """The JSON text in a page."""
    places = PLACE.findall(html)
    assert len(places) == 1, len(places)
    return gzip.decompress(base64.b64decode(places[0], validate=True)).decode()


def columns(table, names, count=None):
    """All of these, of one length, with nothing but numbers."""
    assert set(names) <= set(table), set(names) - set(table)
    for name in names:
        count = len(table[name]) if count is None else count
        assert len(table[name]) == count, (name, len(table[name]), count)
    return count


def within(values, below):
    assert all(isinstance(v, int) and 0 <= v < below for v in values), below


def consistent(d, overlap=False):
    """Asserts what the page relies on. `overlap`: blocks do, as no program's can."""
    assert d["version"] == 1
    n = len(d["times"])
    assert 1 <= n <= 200 and d["times"] == sorted(d["times"]) and d["times"][-1] == d["about"]["end"]
    assert d["about"]["begin"] <= d["times"][0]
    assert d["verdict"] and all(v["text"] and v["tone"] in ("bad", "note", "good") for v in d["verdict"])
    strings = len(d["strings"])
    assert d["strings"][0] == "" and len(set(d["strings"])) == strings
    frames = columns(d["frames"], ["function", "file", "line", "module"])
    for name in ("function", "file", "module"):
        within(d["frames"][name], strings)
    nodes = columns(d["stacks"], ["parent", "frame"])
    within(d["stacks"]["frame"], frames)
    assert all(p < i for i, p in enumerate(d["stacks"]["parent"]) if i > 0)
    t = d["timeline"]
    columns(t, ["live", "high", "blocks", "resident", "mapped", "allocs", "bytes", "frees"], n)
    assert all(h >= l for h, l in zip(t["high"], t["live"]))
    if len(d["about"]["processes"]) == 1 and sum(t["allocs"]): # what processes leave that end last counts together
        assert max(t["high"]) == d["about"]["peak"]["bytes"]
    s = d["sites"]
    sites = columns(s, SITE_COLUMNS)
    within(s["node"], nodes)
    within(s["place"], frames)
    for link in (v["link"] for v in d["verdict"] if v["link"]):
        assert link["view"] in VIEWS
        within([link.get("site", 0)], max(sites, 1))
    e = d["site_series"]
    entries = columns(e, ["interval", "live", "live_blocks", "allocs", "bytes", "temporary"])
    within(e["interval"], n)
    start = e["start"]
    assert len(start) == sites + 1 and start[0] == 0 and start[-1] == entries and start == sorted(start)
    live = [0] * n
    for i in range(sites):
        part = slice(start[i], start[i + 1])
        assert e["interval"][part] == sorted(set(e["interval"][part])), "intervals ascend"
        for name in ("allocs", "bytes", "temporary"):
            assert sum(e[name][part]) == s[name][i], (name, i, sum(e[name][part]), s[name][i])
        now, at = 0, start[i]
        for k in range(n):
            while at < start[i + 1] and e["interval"][at] <= k:
                now = e["live"][at]
                at += 1
            live[k] += now
    if entries < 1 << 19: # else several intervals are one for some sites
        assert live == t["live"], [(k, a, b) for k, (a, b) in enumerate(zip(live, t["live"])) if a != b][:3]
    for name in ("allocs", "bytes", "frees"):
        assert sum(t[name]) == sum(s[name]), name
    z = d["sizes"]
    columns(z["exact"], ["size", "allocs"])
    assert z["exact"]["size"] == sorted(set(z["exact"]["size"])) and len(z["exact"]["size"]) <= 512
    columns(z["bins"], ["interval", "bin", "allocs", "bytes", "slack"])
    within(z["bins"]["interval"], n)
    within(z["bins"]["bin"], 32)
    assert sum(z["bins"]["allocs"]) == sum(t["allocs"]) and sum(z["bins"]["slack"]) == sum(s["slack"])
    lives = d["lifetimes"]
    columns(lives, ["interval", "size", "life", "blocks", "bytes"])
    within(lives["interval"], n)
    within(lives["size"] + lives["life"], 32)
    for top in lives["site_top"]:
        within([top["site"]], sites)
    if "threads" in d:
        h = d["threads"]
        threads = columns(h, ["process", "number", "name", "allocs", "bytes", "frees", "freed_others"])
        columns(h["series"], ["thread", "interval", "allocs", "frees"])
        within(h["series"]["thread"], threads)
        within(h["series"]["interval"], n)
        assert sum(h["allocs"]) == sum(h["series"]["allocs"]) == sum(t["allocs"])
        assert sum(h["frees"]) == sum(h["series"]["frees"]) == sum(lives["blocks"])
    if "map" in d:
        m = d["map"]
        assert m["row_bytes"] % 4096 == 0 and 1 <= m["rows"] <= 1024
        assert sum(x["rows"] for x in m["extents"]) == m["rows"]
        assert len(base64.b64decode(m["occupancy"], validate=True)) == m["rows"] * n
        assert len(m["holes"]) == n and m["pin_time"] in d["times"]
        assert m["pages"]["held"] * m["pages"]["page_bytes"] >= m["pages"]["used"] or overlap
        for owner in m["owners"]:
            within([owner["row"]], m["rows"])
            within([owner["interval"]], n)
            within(owner["sites"], sites)
            assert 1 <= len(owner["sites"]) == len(owner["bytes"]) and owner["bytes"] == sorted(owner["bytes"], reverse=True)
        for pin in m["pin"]:
            within([pin["site"]], sites)
            assert pin["bytes"] >= pin["used"] or overlap
        if len(m["pin"]) < 200 and not overlap:
            whole = m["pages"]["held"] * m["pages"]["page_bytes"]
            assert abs(sum(p["bytes"] for p in m["pin"]) - whole) <= len(m["pin"]), "all pages are somebody's"
    for leak in d.get("leaks", []):
        within([leak["site"]], sites)
    if "strategies" in d:
        r = d["strategies"]
        moments = len(r["moments"])
        assert len(r["live"]) == moments and len(r.get("moment_times", r["moments"])) == moments
        for one in r["list"]:
            columns(one, ["held", "used", "metadata", "largest_hole"], 0 if one["failed"] else moments)
        for one in r.get("steps", {"strategies": []})["strategies"]:
            columns(one, ["op", "block", "start", "size"])
            within(one["op"], len(r["steps"]["ops"]))
    if "diff" in d:
        within([row["place"] for row in d["diff"]["rows"]], frames)
        columns(d["diff"]["node_before"], ["node", "bytes", "allocs", "peak"])
        within(d["diff"]["node_before"]["node"], nodes)
