#!/bin/bash
#SBATCH -m fcyclic
srun ./program
