import { render } from "preact";
import { App } from "./app";
import { load } from "./load";
import { begin } from "./store";
import "./style/base.css";
import "./style/frame.css";
import "./style/views.css";

const page = document.getElementById("page")!;
load().then(
  (report) => {
    begin(report);
    document.title = `${report.about.command || report.about.file} – allot`;
    render(<App />, page);
  },
  (error: unknown) => render(<p class="sorry" role="alert">{error instanceof Error ? error.message : String(error)}</p>, page),
);
