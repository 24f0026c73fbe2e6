import { render } from "preact";
import { App } from "./app";
import "./styles/theme.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/tasks.css";
import "./styles/task.css";
import "./styles/forms.css";
import "./styles/timeline.css";
import "./styles/views.css";
import "./styles/viewer.css";

const root = document.getElementById("app");
if (root) render(<App />, root);
