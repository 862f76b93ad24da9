/** Parts of every answer to an event: nothing more, a message, effects. */
import type { FailureReport } from '../../shared/failure.ts';
import type { Effect, Message, Next, State } from './state.ts';

export const stay = (state: State, ...effects: readonly Effect[]): Next => ({ state, effects });

export const bad = ({ message, advice }: FailureReport): Message => ({
  text: `${message} ${advice}`,
  tone: 'bad',
  sticky: true,
});

export const plain = (text: string): Message => ({ text, tone: 'plain', sticky: false });

/** The state with `message`, which goes by itself unless it is sticky. */
export function say(state: State, message: Message, ...effects: readonly Effect[]): Next {
  const count = state.messages + 1;
  const next = { ...state, message, messages: count };
  return message.sticky ? stay(next, ...effects) : stay(next, { kind: 'expire', count }, ...effects);
}

export const clamp = (index: number, length: number): number => Math.max(0, Math.min(length - 1, index));
