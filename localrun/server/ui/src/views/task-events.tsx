import type { TaskEvent } from "../api/types";
import { clock, exact } from "../model/format";

/** The events of a task, as `kubectl describe` shows them. */
export function TaskEvents({ events, warnings }: { events: TaskEvent[]; warnings: string[] }) {
  return (
    <section class="card wide" aria-label="Events">
      <header>
        <h2>Events</h2>
      </header>
      <div class="body">
        {warnings.map((text) => (
          <p key={text} class="notice warning-line">
            {text}
          </p>
        ))}
        {events.length === 0 ? (
          <p class="muted">No events.</p>
        ) : (
          <table class="events">
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">Type</th>
                <th scope="col">Reason</th>
                <th scope="col">From</th>
                <th scope="col">Message</th>
              </tr>
            </thead>
            <tbody>
              {events.map((event, at) => (
                <tr key={at} class={event.type === "Warning" ? "e-warning" : ""}>
                  <td class="when" title={event.time === null ? "" : exact(event.time)}>
                    {event.time === null ? "-" : clock(event.time)}
                    {event.count > 1 && ` (${event.count} times)`}
                  </td>
                  <td>{event.type}</td>
                  <td>{event.reason}</td>
                  <td class="muted">{event.from}</td>
                  <td class="wrap message">{event.message}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </section>
  );
}
