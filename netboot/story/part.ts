/** The boot story as a part of the appliance: it listens to the servers, to HTTP and to the lives of machines. */
import { Counter } from 'prom-client';
import type { Life } from '../../shared/machine/life.ts';
import type { Part } from '../appliance.ts';
import type { Services } from '../services.ts';
import { listen } from '../witness.ts';
import { addressBook } from './addresses.ts';
import { stepOfLife } from './observe.ts';
import { Story } from './story.ts';

const stories = new WeakMap<Services, Story>();
const mostLives = 20_000;

/** The boot story of this appliance; it begins with the first call. */
export function storyOf(services: Services): Story {
  const found = stories.get(services);
  if (found) return found;
  const { database, hub, clock, log, metrics } = services;
  const ended = new Counter({
    name: 'bty_boots_total',
    help: 'Boots by what became of them.',
    labelNames: ['state', 'code'],
    registers: [metrics.registry],
  });
  const story = new Story({
    database,
    hub,
    clock,
    addresses: addressBook(services),
    complain: (problem) => log.error('boot story', { problem }),
    count: ({ state, code }) => ended.inc({ state, code }),
  });
  stories.set(services, story);
  return story;
}

export function storyPart(services: Services): Part {
  const story = storyOf(services);
  const { hub, clock } = services;
  const lives = new Map<string, Life>();
  const silence = [
    listen(services, story),
    hub.listen((news) => {
      if (news.kind !== 'machine') return;
      if (news.now === null) return;
      const { life, lastSeenIp } = news.now;
      const step = stepOfLife(lives.get(news.mac) ?? null, life);
      lives.delete(news.mac);
      lives.set(news.mac, life);
      if (lives.size > mostLives) lives.delete(lives.keys().next().value ?? '');
      if (step) story.step({ at: clock(), mac: news.mac, address: lastSeenIp, ...step });
    }),
  ];
  return {
    name: 'boot story',
    close: async () => {
      for (const end of silence) end();
      await story.close();
    },
  };
}
