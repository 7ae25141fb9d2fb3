//! What the pages of a link say, one set a language: constants of a struct without defaults, so that a text which is
//! missing in one language does not compile. Nobody who speaks them natively has reviewed seven of the eight.

/// Everything that is said. In a text `{hours}`, `{minutes}`, `{digits}`, `{tries}` and `{codes}` stand for the limits.
pub(crate) struct Words {
    /// BCP 47.
    pub(crate) tag: &'static str,
    /// Heading: somebody's copy.
    pub(super) title: &'static str,
    /// What this is; `{hours}`.
    pub(super) lead: &'static str,
    /// What comes first.
    pub(super) first: &'static str,
    /// Button: have a code sent.
    pub(super) send: &'static str,
    /// The same once more.
    pub(super) send_again: &'static str,
    /// That the link opens once.
    pub(super) once: &'static str,
    /// A code is on its way, if the link is good; `{minutes}`.
    pub(super) sent: &'static str,
    /// What to do where none comes; `{codes}`.
    pub(super) missing: &'static str,
    /// Of the field; `{digits}`.
    pub(super) label: &'static str,
    /// Button: download.
    pub(super) open: &'static str,
    /// To keep the file safe, which comes once.
    pub(super) keep: &'static str,
    /// Heading: it did not open.
    pub(super) no_title: &'static str,
    /// Why that may be; `{minutes}`, `{tries}`, `{hours}`.
    pub(super) no: &'static str,
    /// What to do.
    pub(super) no_next: &'static str,
    /// Heading: it was used.
    pub(super) used_title: &'static str,
    /// That it was opened before.
    pub(super) used: &'static str,
    /// What to do if it was they.
    pub(super) used_own: &'static str,
    /// What to do if it was not.
    pub(super) used_other: &'static str,
    /// A part of the link is missing.
    pub(super) incomplete: &'static str,
    /// Not now.
    pub(super) busy: &'static str,
    /// Where the controller is found.
    pub(super) reach: &'static str,
}

impl Words {
    #[cfg(test)]
    pub(super) fn texts(&self) -> [&'static str; 20] {
        [
            self.title,
            self.lead,
            self.first,
            self.send,
            self.send_again,
            self.once,
            self.sent,
            self.missing,
            self.label,
            self.open,
            self.keep,
            self.no_title,
            self.no,
            self.no_next,
            self.used_title,
            self.used,
            self.used_own,
            self.used_other,
            self.incomplete,
            self.busy,
        ]
    }
}

/// Every language, English first: it is what somebody gets who wants none of these.
pub(crate) static LANGUAGES: [&Words; 8] = [&EN, &DE, &ES, &FR, &IT, &NL, &PL, &PT];

static EN: Words = Words {
    tag: "en",
    title: "Pick up your copy",
    lead: "Here you get the copy of your data that you asked for. This link works for {hours} hours, and once.",
    first: "First we send a code to the address that we have of you.",
    send: "Send me a code",
    send_again: "Send another code",
    once: "Nothing is used up by looking at this page.",
    sent: "If this link is good, a code is on its way to the address that we have of you. It is good for {minutes} minutes.",
    missing: "No code after a few minutes? Look among unwanted mail. At most {codes} codes are sent within an hour.",
    label: "Code, {digits} digits",
    open: "Download my copy",
    keep: "You can start the download once. Keep the file safe: whoever has it can read everything in it.",
    no_title: "That did not open",
    no: "The code may be mistyped, older than {minutes} minutes, or used up by {tries} wrong tries. Or the link is older than {hours} hours, was replaced by a newer one, or its request has ended.",
    no_next: "Have another code sent. If that does not help, ask for your copy again.",
    used_title: "This link was used",
    used: "This link was opened before, and it opens only once. Nothing was handed over now.",
    used_own: "If that was you and the download broke off, ask for your copy again. You get another link.",
    used_other: "If it was not you, somebody else may have your copy. Please tell us at once. We have noted this and will look at it.",
    incomplete: "A part of this link is missing. Please copy all of it from the message that you got.",
    busy: "Your copy cannot be picked up just now. Your link stays as it is. Please try again in a few minutes.",
    reach: "Who we are, and how to reach us",
};

static DE: Words = Words {
    tag: "de",
    title: "Ihre Kopie abholen",
    lead: "Hier bekommen Sie die Kopie Ihrer Daten, um die Sie gebeten haben. Dieser Link gilt {hours} Stunden und nur einmal.",
    first: "Zuerst senden wir einen Code an die Adresse, die wir von Ihnen haben.",
    send: "Code senden",
    send_again: "Neuen Code senden",
    once: "Durch das Ansehen dieser Seite wird nichts verbraucht.",
    sent: "Wenn dieser Link gültig ist, ist ein Code an die Adresse unterwegs, die wir von Ihnen haben. Er gilt {minutes} Minuten.",
    missing: "Kein Code nach einigen Minuten? Sehen Sie bei unerwünschter Post nach. In einer Stunde werden höchstens {codes} Codes gesendet.",
    label: "Code, {digits} Ziffern",
    open: "Meine Kopie herunterladen",
    keep: "Sie können das Herunterladen einmal beginnen. Bewahren Sie die Datei sicher auf: Wer sie hat, kann alles darin lesen.",
    no_title: "Das hat nicht geöffnet",
    no: "Vielleicht ist der Code vertippt, älter als {minutes} Minuten oder nach {tries} falschen Versuchen verbraucht. Oder der Link ist älter als {hours} Stunden, wurde durch einen neueren ersetzt, oder die Anfrage ist beendet.",
    no_next: "Lassen Sie sich einen neuen Code senden. Hilft das nicht, bitten Sie noch einmal um Ihre Kopie.",
    used_title: "Dieser Link wurde benutzt",
    used: "Dieser Link wurde schon geöffnet, und er öffnet sich nur einmal. Jetzt wurde nichts herausgegeben.",
    used_own: "Wenn Sie das waren und das Herunterladen abgebrochen ist, bitten Sie noch einmal um Ihre Kopie. Sie bekommen einen neuen Link.",
    used_other: "Wenn Sie es nicht waren, hat vielleicht jemand anderes Ihre Kopie. Bitte sagen Sie es uns sofort. Wir haben das vermerkt und gehen ihm nach.",
    incomplete: "Ein Teil dieses Links fehlt. Bitte kopieren Sie ihn ganz aus der Nachricht, die Sie bekommen haben.",
    busy: "Ihre Kopie kann gerade nicht abgeholt werden. Ihr Link bleibt, wie er ist. Bitte versuchen Sie es in einigen Minuten noch einmal.",
    reach: "Wer wir sind und wie Sie uns erreichen",
};

static ES: Words = Words {
    tag: "es",
    title: "Recoger su copia",
    lead: "Aquí recibe la copia de sus datos que pidió. Este enlace sirve durante {hours} horas y una sola vez.",
    first: "Primero enviamos un código a la dirección que tenemos de usted.",
    send: "Enviarme un código",
    send_again: "Enviar otro código",
    once: "Mirar esta página no gasta nada.",
    sent: "Si este enlace es válido, un código va de camino a la dirección que tenemos de usted. Vale durante {minutes} minutos.",
    missing: "¿Ningún código después de unos minutos? Mire en el correo no deseado. En una hora se envían como máximo {codes} códigos.",
    label: "Código, {digits} cifras",
    open: "Descargar mi copia",
    keep: "Puede empezar la descarga una sola vez. Guarde bien el archivo: quien lo tenga puede leer todo lo que contiene.",
    no_title: "No se ha abierto",
    no: "Puede que el código esté mal escrito, tenga más de {minutes} minutos o se haya gastado tras {tries} intentos fallidos. O que el enlace tenga más de {hours} horas, haya sido sustituido por otro más nuevo, o que su solicitud haya terminado.",
    no_next: "Pida que le enviemos otro código. Si eso no ayuda, pida su copia de nuevo.",
    used_title: "Este enlace ya se usó",
    used: "Este enlace ya se abrió antes, y solo se abre una vez. Ahora no se ha entregado nada.",
    used_own: "Si fue usted y la descarga se interrumpió, pida su copia de nuevo. Recibirá otro enlace.",
    used_other: "Si no fue usted, puede que otra persona tenga su copia. Díganoslo enseguida. Lo hemos anotado y lo vamos a mirar.",
    incomplete: "Falta una parte de este enlace. Cópielo entero del mensaje que recibió.",
    busy: "Ahora mismo no se puede recoger su copia. Su enlace queda como está. Inténtelo de nuevo en unos minutos.",
    reach: "Quiénes somos y cómo contactarnos",
};

static FR: Words = Words {
    tag: "fr",
    title: "Retirer votre copie",
    lead: "Vous obtenez ici la copie de vos données que vous avez demandée. Ce lien est valable {hours} heures, et une seule fois.",
    first: "Nous envoyons d’abord un code à l’adresse que nous avons de vous.",
    send: "M’envoyer un code",
    send_again: "Envoyer un autre code",
    once: "Regarder cette page ne consomme rien.",
    sent: "Si ce lien est valable, un code est en route vers l’adresse que nous avons de vous. Il est valable {minutes} minutes.",
    missing: "Pas de code après quelques minutes ? Regardez dans le courrier indésirable. Au plus {codes} codes sont envoyés par heure.",
    label: "Code, {digits} chiffres",
    open: "Télécharger ma copie",
    keep: "Vous pouvez commencer le téléchargement une seule fois. Gardez bien le fichier : qui l’a peut lire tout ce qu’il contient.",
    no_title: "Cela ne s’est pas ouvert",
    no: "Le code est peut-être mal tapé, a plus de {minutes} minutes ou est épuisé après {tries} essais faux. Ou le lien a plus de {hours} heures, a été remplacé par un plus récent, ou sa demande est terminée.",
    no_next: "Faites envoyer un autre code. Si cela n’aide pas, demandez de nouveau votre copie.",
    used_title: "Ce lien a été utilisé",
    used: "Ce lien a déjà été ouvert, et il ne s’ouvre qu’une fois. Rien n’a été remis maintenant.",
    used_own: "Si c’était vous et que le téléchargement s’est interrompu, demandez de nouveau votre copie. Vous recevrez un autre lien.",
    used_other: "Si ce n’était pas vous, quelqu’un d’autre a peut-être votre copie. Dites-le-nous tout de suite. Nous l’avons noté et nous l’examinerons.",
    incomplete: "Il manque une partie de ce lien. Copiez-le en entier depuis le message que vous avez reçu.",
    busy: "Votre copie ne peut pas être retirée en ce moment. Votre lien reste tel quel. Réessayez dans quelques minutes.",
    reach: "Qui nous sommes et comment nous joindre",
};

static IT: Words = Words {
    tag: "it",
    title: "Ritirare la Sua copia",
    lead: "Qui riceve la copia dei Suoi dati che ha chiesto. Questo link vale {hours} ore, e una sola volta.",
    first: "Per prima cosa inviamo un codice all’indirizzo che abbiamo di Lei.",
    send: "Inviami un codice",
    send_again: "Invia un altro codice",
    once: "Guardare questa pagina non consuma nulla.",
    sent: "Se questo link è valido, un codice è in arrivo all’indirizzo che abbiamo di Lei. Vale {minutes} minuti.",
    missing: "Nessun codice dopo qualche minuto? Guardi nella posta indesiderata. In un’ora si inviano al massimo {codes} codici.",
    label: "Codice, {digits} cifre",
    open: "Scarica la mia copia",
    keep: "Può iniziare lo scaricamento una sola volta. Conservi bene il file: chi lo ha può leggere tutto ciò che contiene.",
    no_title: "Non si è aperto",
    no: "Forse il codice è scritto male, ha più di {minutes} minuti o è esaurito dopo {tries} tentativi sbagliati. Oppure il link ha più di {hours} ore, è stato sostituito da uno più recente, o la richiesta è terminata.",
    no_next: "Si faccia inviare un altro codice. Se non serve, chieda di nuovo la Sua copia.",
    used_title: "Questo link è stato usato",
    used: "Questo link è già stato aperto, e si apre una volta sola. Ora non è stato consegnato nulla.",
    used_own: "Se è stato Lei e lo scaricamento si è interrotto, chieda di nuovo la Sua copia. Riceverà un altro link.",
    used_other: "Se non è stato Lei, forse qualcun altro ha la Sua copia. Ce lo dica subito. Lo abbiamo annotato e lo esamineremo.",
    incomplete: "Manca una parte di questo link. Lo copi per intero dal messaggio che ha ricevuto.",
    busy: "In questo momento la Sua copia non può essere ritirata. Il link resta com’è. Riprovi tra qualche minuto.",
    reach: "Chi siamo e come raggiungerci",
};

static NL: Words = Words {
    tag: "nl",
    title: "Uw kopie ophalen",
    lead: "Hier krijgt u de kopie van uw gegevens waar u om vroeg. Deze link werkt {hours} uur, en één keer.",
    first: "Eerst sturen wij een code naar het adres dat wij van u hebben.",
    send: "Stuur mij een code",
    send_again: "Stuur een nieuwe code",
    once: "Door deze pagina te bekijken wordt niets verbruikt.",
    sent: "Als deze link geldig is, is er een code onderweg naar het adres dat wij van u hebben. De code geldt {minutes} minuten.",
    missing: "Na een paar minuten geen code? Kijk bij ongewenste post. Per uur worden hoogstens {codes} codes gestuurd.",
    label: "Code, {digits} cijfers",
    open: "Mijn kopie downloaden",
    keep: "U kunt het downloaden één keer beginnen. Bewaar het bestand goed: wie het heeft, kan alles erin lezen.",
    no_title: "Dat ging niet open",
    no: "Misschien is de code verkeerd getypt, ouder dan {minutes} minuten of na {tries} foute pogingen op. Of de link is ouder dan {hours} uur, is vervangen door een nieuwere, of het verzoek is beëindigd.",
    no_next: "Laat een nieuwe code sturen. Helpt dat niet, vraag dan opnieuw om uw kopie.",
    used_title: "Deze link is gebruikt",
    used: "Deze link is al eerder geopend, en gaat maar één keer open. Er is nu niets gegeven.",
    used_own: "Was u dat en brak het downloaden af, vraag dan opnieuw om uw kopie. U krijgt een andere link.",
    used_other: "Was u het niet, dan heeft misschien iemand anders uw kopie. Laat het ons meteen weten. Wij hebben dit genoteerd en kijken ernaar.",
    incomplete: "Er ontbreekt een deel van deze link. Kopieer hem helemaal uit het bericht dat u kreeg.",
    busy: "Uw kopie kan nu niet worden opgehaald. Uw link blijft zoals hij is. Probeer het over een paar minuten opnieuw.",
    reach: "Wie wij zijn en hoe u ons bereikt",
};

static PL: Words = Words {
    tag: "pl",
    title: "Odbiór kopii danych",
    lead: "Tutaj można odebrać kopię danych, o którą proszono. Ten link działa przez {hours} godz. i jeden raz.",
    first: "Najpierw wysyłamy kod na adres, który mamy w danych.",
    send: "Wyślij kod",
    send_again: "Wyślij nowy kod",
    once: "Samo obejrzenie tej strony niczego nie zużywa.",
    sent: "Jeśli ten link jest ważny, kod jest w drodze na adres, który mamy w danych. Jest ważny {minutes} minut.",
    missing: "Po kilku minutach nie ma kodu? Proszę sprawdzić niechcianą pocztę. W ciągu godziny wysyłamy najwyżej tyle kodów: {codes}.",
    label: "Kod, cyfr: {digits}",
    open: "Pobierz moją kopię",
    keep: "Pobieranie można zacząć jeden raz. Plik proszę dobrze przechować: kto go ma, może przeczytać wszystko, co w nim jest.",
    no_title: "Nie udało się otworzyć",
    no: "Być może kod zawiera błąd, jest starszy niż {minutes} minut albo zużyły go błędne próby (najwyżej {tries}). Albo link jest starszy niż {hours} godz., zastąpił go nowszy lub wniosek jest zakończony.",
    no_next: "Proszę wysłać nowy kod. Jeśli to nie pomoże, proszę ponownie poprosić o kopię.",
    used_title: "Ten link został użyty",
    used: "Ten link był już otwarty, a otwiera się tylko raz. Teraz nic nie zostało wydane.",
    used_own: "Jeśli pobieranie zostało przerwane, proszę ponownie poprosić o kopię. Przyślemy nowy link.",
    used_other: "Jeśli otworzył go kto inny, może mieć kopię tych danych. Proszę natychmiast nas zawiadomić. Zapisaliśmy to i sprawdzimy.",
    incomplete: "Brakuje części tego linku. Proszę skopiować go w całości z otrzymanej wiadomości.",
    busy: "W tej chwili nie można odebrać kopii. Link pozostaje bez zmian. Proszę spróbować za kilka minut.",
    reach: "Kim jesteśmy i jak się z nami skontaktować",
};

static PT: Words = Words {
    tag: "pt",
    title: "Levantar a sua cópia",
    lead: "Aqui recebe a cópia dos seus dados que pediu. Esta ligação serve durante {hours} horas, e uma só vez.",
    first: "Primeiro enviamos um código para o endereço que temos de si.",
    send: "Enviar-me um código",
    send_again: "Enviar outro código",
    once: "Ver esta página não gasta nada.",
    sent: "Se esta ligação for válida, um código está a caminho do endereço que temos de si. É válido durante {minutes} minutos.",
    missing: "Nenhum código ao fim de alguns minutos? Veja no correio indesejado. Numa hora são enviados no máximo {codes} códigos.",
    label: "Código, {digits} algarismos",
    open: "Descarregar a minha cópia",
    keep: "Pode começar a descarregar uma só vez. Guarde bem o ficheiro: quem o tiver pode ler tudo o que contém.",
    no_title: "Não abriu",
    no: "Talvez o código esteja mal escrito, tenha mais de {minutes} minutos ou se tenha gasto após {tries} tentativas erradas. Ou a ligação tem mais de {hours} horas, foi substituída por uma mais nova, ou o pedido terminou.",
    no_next: "Peça o envio de outro código. Se não ajudar, peça de novo a sua cópia.",
    used_title: "Esta ligação já foi usada",
    used: "Esta ligação já foi aberta antes, e só abre uma vez. Agora não foi entregue nada.",
    used_own: "Se foi quem a abriu e a transferência se interrompeu, peça de novo a sua cópia. Recebe outra ligação.",
    used_other: "Se não foi, talvez outra pessoa tenha a sua cópia. Diga-nos de imediato. Registámos isto e vamos ver o que se passou.",
    incomplete: "Falta uma parte desta ligação. Copie-a toda da mensagem que recebeu.",
    busy: "De momento não é possível levantar a sua cópia. A ligação fica como está. Tente de novo dentro de alguns minutos.",
    reach: "Quem somos e como nos contactar",
};
