// The page's keys, shown by `?`.
import { useEffect, useRef } from "preact/hooks";
import { help } from "../store";

const KEYS: [string, string][] = [
  ["/", "search functions, files and modules"], ["t", "go to the timeline"], ["1 … 9, [ and ]", "the views"], ["d", "dark or light"], ["esc", "out: of the search, the zoom, the selection, the chosen site"],
  ["← →", "in the timeline: move the selection, or the moment; ctrl: ten at a time"], ["shift ← →", "in the timeline: make and widen a selection"],
  ["arrows, enter, backspace", "in the flame graph: move, zoom in, zoom out"], ["arrows", "in the heap map and the lifetimes: moment and row, cell"], ["↑ ↓", "in the table of sites: the row"], ["← →, space", "step by step: back, on, play"],
];

export function Keys() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (help.value && !dialog.current!.open) dialog.current!.showModal();
  }, [help.value]);
  return (
    <dialog ref={dialog} aria-label="Keys" onClose={() => { help.value = false; }} onClick={(event) => { if (event.target === dialog.current) dialog.current!.close(); }}>
      <header><h3>Keys</h3><button type="button" class="close" aria-label="Close" onClick={() => dialog.current!.close()}>×</button></header>
      <dl>{KEYS.map(([key, says]) => <div key={key + says}><dt><kbd>{key}</kbd></dt><dd>{says}</dd></div>)}</dl>
    </dialog>
  );
}
