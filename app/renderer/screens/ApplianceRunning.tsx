import { useState } from 'react';
import { ask } from '../client.ts';
import { Button } from '../parts/Button.tsx';
import { Failed } from '../parts/Failed.tsx';
import { Note } from '../parts/Note.tsx';
import { useText } from '../parts/useText.ts';
import { attempt, useStore } from '../store.ts';
import { ApplianceLog } from './ApplianceLog.tsx';
import { ApplianceOverview } from './ApplianceOverview.tsx';
import { AppliancePages } from './AppliancePages.tsx';
import { StoppingSheet, writingNow } from './StoppingSheet.tsx';

const parts = ['pages', 'overview', 'log'] as const;
type Part = (typeof parts)[number];

/** A running appliance: its own pages, a small overview, and its log. */
export function ApplianceRunning() {
  const { t } = useText();
  const facts = useStore((state) => state.appliance.facts);
  const [wanted, setWanted] = useState<Part | null>(null);
  const [asking, setAsking] = useState(false);
  const stop = () => {
    if (writingNow(useStore.getState().machines.machines) > 0) setAsking(true);
    else void attempt(() => ask('appliance.stop', {}));
  };
  const part = wanted ?? (facts?.pages === false ? 'overview' : 'pages');
  return (
    <>
      <div className="running-head">
        <div className="running-words">
          <div role="status">
            <h1 id="screen-title" className="running-title">
              <span className="dot dot-good" aria-hidden="true" />
              {t('appliance.stages.running')}
            </h1>
          </div>
          <p className="quiet">
            {facts === null
              ? t('common.loading')
              : [
                  t('appliance.on', {
                    interface: facts.interface,
                    mode: t(`appliance.onModes.${facts.mode}`),
                  }),
                  ...facts.addresses,
                ].join(' · ')}
          </p>
        </div>
        <nav className="nav" aria-label={t('appliance.parts')}>
          {parts.map((name) => (
            <button
              key={name}
              type="button"
              className="nav-item"
              aria-current={part === name ? 'page' : undefined}
              onClick={() => setWanted(name)}
            >
              {t(`appliance.tabs.${name}`)}
            </button>
          ))}
        </nav>
        <Button look="quiet" onPress={() => useStore.setState({ sheet: 'password' })}>
          {t('appliance.password')}
        </Button>
        <Button onPress={stop}>{t('appliance.stop')}</Button>
      </div>
      <div className="running-troubles" role="alert">
        {(facts?.troubles ?? []).map((trouble) => (
          <Note key={trouble.code} kind="warn">
            <Failed failure={trouble} />
          </Note>
        ))}
      </div>
      {part === 'pages' ? <AppliancePages isThere={facts?.pages ?? null} isAside={asking} /> : null}
      {asking ? <StoppingSheet onClose={() => setAsking(false)} /> : null}
      {part === 'overview' ? <ApplianceOverview /> : null}
      {part === 'log' ? <ApplianceLog /> : null}
    </>
  );
}
