import { Component, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Button } from '../../parts/Button.tsx';
import { Note } from '../../parts/Note.tsx';
import { Page } from './Page.tsx';

interface Props {
  readonly children: ReactNode;
}

/**
 * What is shown in the place of a page that could not be drawn, or not be loaded: after an update the appliance no
 * longer has the pieces of its former pages.
 */
export class Broken extends Component<Props, { readonly isBroken: boolean }> {
  override readonly state = { isBroken: false };

  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  override render() {
    return this.state.isBroken ? <Instead /> : this.props.children;
  }
}

function Instead() {
  const { t } = useTranslation();
  return (
    <Page title={t('lab.trouble.broken')}>
      <Note kind="bad">
        <p>{t('lab.trouble.brokenAdvice')}</p>
        <Button look="quiet" onPress={() => location.reload()}>
          {t('lab.link.reload')}
        </Button>
      </Note>
    </Page>
  );
}
