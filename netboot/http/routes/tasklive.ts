/** The output of a run as a stream of events: read from its file, so that nothing is kept for slow readers. */
import type { TaskState, taskOperations } from '../../../shared/contract/task.ts';
import { Channel } from '../../events/channel.ts';
import type { Services } from '../../services.ts';
import { outputSize, readOutput } from '../../tasks/output.ts';
import { cookieName } from '../cookie.ts';
import { Problem } from '../problem.ts';
import { type Answer, type Call, handled } from '../route.ts';
import { fixedHeaders } from '../server.ts';

const mostStreams = 200;
const open = new WeakMap<object, Set<Channel>>();

/** Streams the run to the client of `call`. */
export function liveOf(
  services: Services,
  { request, reply, query }: Call<typeof taskOperations.live>,
  { id, mac, run_dir }: TaskState,
): Answer {
  const channels = open.get(services) ?? new Set();
  open.set(services, channels);
  if (channels.size >= mostStreams) throw new Problem(503, 'too many streams are open');
  if (request.method === 'HEAD') {
    void reply.header('content-type', 'text/event-stream; charset=utf-8').send();
    return handled;
  }
  const start = Number(request.headers['last-event-id'] ?? query.last_event_id ?? 0);
  let at = Number.isSafeInteger(start) && start >= 0 && start <= outputSize(run_dir) ? start : 0;
  let told = '';
  const credentials = {
    cookie: request.cookies[cookieName],
    bearer: /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1],
  };
  reply.hijack();
  const pump = (channel: Channel) => {
    // The state first: whatever was written before it ended is in the file then.
    const state = services.tasks.get(id);
    for (;;) {
      const { lines, next } = readOutput(run_dir, at);
      if (lines.length === 0) break;
      for (const { text, end } of lines) channel.send('output', text, end);
      at = next;
      if (!channel.isOpen) return;
    }
    const now = JSON.stringify(state);
    if (now !== told) channel.send('state', now);
    told = now;
    if (state !== null && state.stage !== 'ended') return;
    channel.send('end', '{}');
    channel.close();
  };
  const channel: Channel = new Channel(reply.raw, {
    headers: { ...fixedHeaders, 'x-request-id': request.id },
    pump,
    isWelcome: () => services.access.authenticate(credentials) !== null,
    onClose: () => {
      silence();
      services.ending.removeEventListener('abort', stop);
      channels.delete(channel);
    },
  });
  const stop = () => channel.close();
  const silence = services.hub.listen((news) => {
    if (news.kind === 'job' && news.key === `task ${mac}`) channel.wake();
  });
  services.ending.addEventListener('abort', stop);
  channels.add(channel);
  if (services.ending.aborted) channel.close();
  return handled;
}
