import type { ServerResponse } from 'node:http';
import { eventOperations } from '../../../shared/contract/event.ts';
import { Channel } from '../../events/channel.ts';
import type { News } from '../../events/hub.ts';
import { wireMachine } from '../../machines/record.ts';
import type { Services } from '../../services.ts';
import { cookieName } from '../cookie.ts';
import { type Html, html } from '../html.ts';
import { Problem } from '../problem.ts';
import { type Call, handled, json, serve } from '../route.ts';
import { fixedHeaders, type Routes } from '../server.ts';
import { neighbourhood, Tally } from '../tally.ts';

/** Streams that may be open at once, and those of one address (IPv6: one /64), which leaves room for others. */
const mostStreams = 500;
const mostOfOneAddress = 100;
/** Events that one stream sends before others have their turn. */
const mostAtOnce = 100;
/** Things whose latest state is kept for a stream that does not read; beyond it the stream ends. */
const mostPending = 2000;
/** Rows of the compatible stream; whoever has more machines uses the JSON one. */
const mostRows = 200;

export const eventRoutes: Routes = (app, services) => {
  const { events, hub } = services;
  const channels = new Set<Channel>();
  const byAddress = new Tally();
  services.ending.addEventListener('abort', () => {
    for (const channel of channels) channel.close();
  });

  const open = (
    { request, reply, address: client }: Call,
    onNews: (news: News, channel: Channel) => boolean,
    pump: (channel: Channel) => void,
  ) => {
    const address = neighbourhood(client);
    if (channels.size >= mostStreams) throw new Problem(503, 'too many streams are open');
    if (byAddress.of(address) >= mostOfOneAddress)
      throw new Problem(503, `${mostOfOneAddress} streams to this address are open already`);
    if (request.method === 'HEAD') {
      void reply.header('content-type', 'text/event-stream; charset=utf-8').send();
      return handled;
    }
    const credentials = {
      cookie: request.cookies[cookieName],
      bearer: /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1],
    };
    reply.hijack();
    const response: ServerResponse = reply.raw;
    const channel: Channel = new Channel(response, {
      headers: { ...fixedHeaders, 'x-request-id': request.id },
      pump,
      isWelcome: () => services.access.authenticate(credentials) !== null,
      onClose: () => {
        silence();
        if (channels.delete(channel)) byAddress.remove(address);
      },
    });
    const silence = hub.listen((news) => {
      if (onNews(news, channel)) channel.wake();
    });
    channels.add(channel);
    byAddress.add(address);
    if (services.ending.aborted) channel.close();
    return handled;
  };

  serve(app, services, eventOperations.list, ({ query }) => json({ events: events.list(query) }));

  // What many listen to is rendered once.
  let rendered: { readonly rows: string; readonly counts: string } | null = null;
  hub.listen((news) => {
    if (news.kind === 'machine') rendered = null;
  });

  serve(app, services, eventOperations.machines, (call) => {
    let due = true;
    return open(
      call,
      (news) => {
        if (news.kind === 'machine' || news.kind === 'images') due = true;
        return due;
      },
      (channel) => {
        if (!due) return;
        due = false;
        rendered ??= { rows: machineRows(services).text, counts: counts(services).text };
        channel.send('machines-update', rendered.rows);
        channel.send('dashboard-counts', rendered.counts);
      },
    );
  });

  serve(app, services, eventOperations.stream, (call) => {
    const asked = call.request.headers['last-event-id'] ?? call.query.last_event_id;
    const start = asked === undefined ? Number.NaN : Number(asked);
    const newest = events.lastId();
    // An id of the future is one of another state, which a backup has replaced.
    let last = Number.isSafeInteger(start) && start >= 0 && start <= newest ? start : newest;
    const pending = new Map<string, News>();
    return open(
      call,
      (news, channel) => {
        if (news.kind !== 'event') pending.set(keyOf(news), news);
        if (pending.size > mostPending && !channel.isOpen) channel.close();
        return true;
      },
      (channel) => {
        let sent = 0;
        for (const event of events.after(last, mostAtOnce)) {
          // One event may be long: whoever does not read gets no second one.
          if (!channel.isOpen) return;
          channel.send('event', JSON.stringify(event), event.id);
          last = event.id;
          sent++;
        }
        if (sent === mostAtOnce) return channel.wake();
        for (const [key, news] of pending) {
          if (!channel.isOpen) return;
          pending.delete(key);
          channel.send(news.kind, JSON.stringify(told(services, news)));
        }
      },
    );
  });
};

function keyOf(news: News): string {
  switch (news.kind) {
    case 'machine':
      // A text that all streams share.
      return news.mac;
    case 'event':
    case 'images':
      return news.kind;
    default:
      return `${news.kind} ${news.key}`;
  }
}

function told({ machines, clock }: Services, news: News): unknown {
  switch (news.kind) {
    case 'machine': {
      const record = machines.store.get(news.mac);
      return record ? wireMachine(record, clock(), machines.limit) : { mac: news.mac, deleted: true };
    }
    case 'job':
      return news.job;
    case 'event':
    case 'images':
      return {};
    default:
      return news.value;
  }
}

function machineRows({ machines, clock }: Services): Html {
  const rows = [...machines.store.list({}, null, mostRows)].map((record) => {
    const wire = wireMachine(record, clock(), machines.limit);
    const image = wire.image_sha256?.slice(0, 12) ?? 'discovered';
    return html`<tr id="machine-${wire.mac.replaceAll(':', '-')}"><td>${wire.mac}</td><td>${image}</td>
<td>${wire.boot_policy}</td><td>${wire.hostname}</td><td>${wire.state.phase}</td><td>${wire.last_seen_at}</td>
<td>${wire.last_flashed_at}</td></tr>
`;
  });
  const left = machines.store.count({}) - rows.length;
  return html`${rows}${left > 0 ? html`<tr><td colspan="7">and ${left} more</td></tr>` : ''}`;
}

function counts({ machines }: Services): Html {
  const phases = machines.store.countByPhase();
  const total = [...phases.values()].reduce((sum, count) => sum + count, 0);
  const rows = [...phases].map(([phase, count]) => html`<li>${phase}: ${count}</li>`);
  return html`<ul><li>machines: ${total}</li>${rows}</ul>`;
}
