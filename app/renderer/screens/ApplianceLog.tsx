import { useEffect, useRef, useState } from 'react';
import { type LogLine, logLength } from '../../../shared/app/appliance.ts';
import { ask, bridge } from '../client.ts';
import { Clock } from '../parts/Clock.tsx';
import { useText } from '../parts/useText.ts';
import { attempt } from '../store.ts';

/** What the appliance wrote to its log last; the newest line stands at the end, in sight. */
export function ApplianceLog() {
  const { t } = useText();
  const [lines, setLines] = useState<readonly LogLine[]>([]);
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const end = bridge().on('log', (more) => setLines((before) => [...before, ...more].slice(-logLength)));
    void attempt(async () => setLines(await ask('appliance.log', {})));
    return end;
  }, []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines are what it reacts to
  useEffect(() => end.current?.scrollIntoView({ block: 'end' }), [lines]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section className="scroll log" tabIndex={0} aria-label={t('appliance.logLabel')}>
      {lines.length === 0 ? <p className="nothing">{t('appliance.logEmpty')}</p> : null}
      <ol>
        {lines.map(({ time, level, text }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have no names
          <li key={index} className={`log-line log-${level}`}>
            {time === null ? <span className="step-time" /> : <Clock at={time} />}
            <span className="log-level">{level}</span>
            <span className="log-text">{text}</span>
          </li>
        ))}
      </ol>
      <div ref={end} />
    </section>
  );
}
