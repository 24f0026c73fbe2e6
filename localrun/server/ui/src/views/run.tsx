import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, post, send } from "../api/client";
import { useDebounced, useGet } from "../api/hooks";
import type { Bundle, BundleEntry, Check, Problem, TaskView } from "../api/types";
import { Command } from "../components/copy";
import { ErrorNotice, Problems, Skeleton } from "../components/notice";
import { Field, type ImageSource } from "../form/field";
import { checkBody, emptyEntry, entryOf, NO_OPTIONS, optionsFrom, problemsOf, takesFile, uploadsOf, type Entries, type Options } from "../form/model";
import { navigate, taskHref } from "../router";
import { BundleChoice } from "./bundle-choice";
import { RunOptions } from "./run-options";
import { plan, sendTask } from "../form/send-task";

const PREFIX = "in."; // an input in the address: `?bundle=samples/add-integers&in.a=3`

export function RunPage({ query }: { query: URLSearchParams }) {
  const from = query.get("from");
  const earlier = useGet<TaskView>(from ? `/task/${encodeURIComponent(from)}/view` : null);
  const reference = query.get("bundle") ?? earlier.data?.bundle.reference ?? null;
  useEffect(() => {
    document.title = "Run - localrun";
  }, []);
  if (earlier.error) return <ErrorNotice error={earlier.error} />;
  if (from && !earlier.data) return <Skeleton rows={6} height={28} />;
  if (reference === null) return <BundleChoice problem={from ? "The bundle of this task is not known to the server." : ""} />;
  return <BundleForm key={`${reference}\n${from}`} reference={reference} earlier={earlier.data} query={query} />;
}

interface FormProps {
  reference: string;
  earlier: TaskView | null;
  query: URLSearchParams;
}

function BundleForm({ reference, earlier, query }: FormProps) {
  const path = `/bundle/${reference.split("/").map(encodeURIComponent).join("/")}`;
  const bundle = useGet<Bundle>(path);
  if (bundle.error) {
    return (
      <>
        <ErrorNotice error={bundle.error} retry={bundle.reload} />
        <Problems problems={bundle.error.problems} />
        <p>
          <a href="/ui/run">Choose another bundle</a>
        </p>
      </>
    );
  }
  if (!bundle.data) return <Skeleton rows={8} height={28} />;
  return <RunForm path={path} bundle={bundle.data} earlier={earlier} query={query} />;
}

interface RunFormProps {
  path: string;
  bundle: Bundle;
  earlier: TaskView | null;
  query: URLSearchParams;
}

function RunForm({ path, bundle, earlier, query }: RunFormProps) {
  const [entries, setEntries] = useState<Entries>(() => initialEntries(bundle, earlier, query));
  const [options, setOptions] = useState<Options>(() => (earlier?.submission ? optionsFrom(earlier.submission) : NO_OPTIONS));
  const [touched, setTouched] = useState<ReadonlySet<string>>(() => new Set(bundle.inputs.map((one) => one.name).filter((name) => query.has(PREFIX + name))));
  const [sending, setSending] = useState("");
  const [error, setError] = useState<ApiError | null>(null);
  const body = useDebounced(checkBody(bundle.inputs, entries, options), 300);
  const check = useCheck(path, JSON.stringify(body));
  const all = touched.has("*");
  const missing = (check?.missing ?? []).map((name): Problem => ({ path: `inputs.${name}`, message: "required" }));
  const problems = [...(check?.problems ?? []), ...(error?.problems ?? []), ...(all ? missing : [])];
  const shown = (name: string): Problem[] => (all || touched.has(name) ? problemsOf(problems, `inputs.${name}`) : []);
  const summary = useRef<HTMLDivElement>(null);
  const images: ImageSource[] = bundle.inputs.flatMap((one) => {
    const choice = one.type.id === "image" ? entries[one.name]?.file : null;
    return choice ? [{ name: one.name, choice }] : [];
  });

  const onSubmit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setTouched(new Set(["*"]));
    setError(null);
    setSending("Checking");
    try {
      const found = await post<Check>(`${path}/check`, checkBody(bundle.inputs, entries, options));
      if (!found.valid) {
        setSending("");
        summary.current?.focus();
        return;
      }
      const uploads = bundle.inputs.flatMap((one) => uploadsOf(one.name, one.type, entries[one.name] ?? emptyEntry()));
      const required = new Set(bundle.inputs.filter((one) => !one.optional).map((one) => one.name));
      navigate(taskHref(await sendTask(plan(found.submission, uploads, required), setSending)));
    } catch (problem) {
      setSending("");
      setError(ApiError.of(problem));
      summary.current?.focus();
    }
  };
  const fieldProblems = new Set(bundle.inputs.flatMap((one) => shown(one.name)));
  const others = all ? problems.filter((one) => !fieldProblems.has(one)) : [];
  return (
    <form class="run" onSubmit={(event) => void onSubmit(event)} noValidate>
      <div class="view-head">
        <h1>{bundle.title || bundle.name}</h1>
        <code class="muted wrap">{bundle.reference}</code>
        <a class="push" href="/ui/run">
          Other bundles
        </a>
      </div>
      {bundle.description && <p class="about">{bundle.description}</p>}
      {bundle.warnings.map((text) => (
        <p key={text} class="notice">
          {text}
        </p>
      ))}
      <div ref={summary} tabIndex={-1} class="problem-summary" role={all && problems.length ? "alert" : undefined}>
        {all && (problems.length > 0 || error) && (
          <div class="notice error">
            <strong>{error && !error.problems.length ? error.message : `The task cannot run: ${problems.length === 1 ? "1 problem" : `${problems.length} problems`}`}</strong>
            {error?.hint && <p class="muted">{error.hint}</p>}
            {others.map((one, at) => (
              <p key={at}>
                {one.path && <code>{one.path}</code>} {one.message}
                {one.remedy && <span class="muted">; {one.remedy}</span>}
              </p>
            ))}
          </div>
        )}
      </div>
      <fieldset class="card" disabled={Boolean(sending)}>
        <legend class="hidden-text">Inputs</legend>
        {bundle.inputs.length === 0 && <p class="empty">This bundle takes no inputs.</p>}
        {bundle.inputs.map((one) => (
          <Field
            key={one.name}
            parameter={one}
            entry={entries[one.name] ?? emptyEntry()}
            problems={shown(one.name)}
            images={images}
            onChange={(entry) => {
              setEntries((old) => ({ ...old, [one.name]: entry }));
              setTouched((old) => new Set([...old, one.name]));
            }}
          />
        ))}
      </fieldset>
      <RunOptions bundle={bundle} options={options} onChange={setOptions} problems={problems} />
      <div class="row submit">
        <button class="primary" type="submit" disabled={Boolean(sending)}>
          {sending || "Run"}
        </button>
        <span class="muted small">{check && !check.valid && !all && check.missing.length > 0 && `Still needed: ${check.missing.join(", ")}`}</span>
      </div>
      {check?.warnings.filter((text) => !bundle.warnings.includes(text)).map((text) => (
        <p key={text} class="notice">
          {text}
        </p>
      ))}
      {check && (
        <section class="same" aria-label="The same from a terminal">
          <h2>The same from a terminal</h2>
          <Command text={check.commands.run} label="localrun command" />
          <Command text={check.commands.curl} label="curl command" />
        </section>
      )}
    </form>
  );
}

/** What the server says about the form, without running anything. */
function useCheck(path: string, body: string): Check | null {
  const [check, setCheck] = useState<Check | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    const init = { method: "POST", headers: { "Content-Type": "application/json" }, body, signal: abort.signal };
    send(`${path}/check`, init)
      .then((response) => response.json() as Promise<Check>)
      .then(setCheck, () => undefined);
    return () => abort.abort();
  }, [path, body]);
  return check;
}

function initialEntries(bundle: Bundle, earlier: TaskView | null, query: URLSearchParams): Entries {
  const submitted = (earlier?.submission?.inputs ?? {}) as Record<string, never>;
  const entries: Entries = {};
  for (const { name, type } of bundle.inputs) {
    const given = query.get(PREFIX + name);
    const entry = given === null ? entryOf(type, submitted[name]) : { ...emptyEntry(), text: given };
    const known = earlier?.inputs.find((one) => one.name === name);
    const file = known?.files[0];
    if (takesFile(type) && !entry.file && file) entry.file = { from: "task", url: file.url, name };
    if (type.id === "array" && !entry.items.length && known) {
      entry.items = known.files.map((one) => ({ ...emptyEntry(), file: { from: "task", url: one.url, name: one.name } }));
    }
    entries[name] = entry;
  }
  return entries;
}

export type { BundleEntry };
