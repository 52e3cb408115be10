"""What is imported when: names that are gone, and libraries that wait until they are used."""
